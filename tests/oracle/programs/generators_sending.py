"""A pipeline of generators that are sent values, and one that yields None at each step."""


def averager():
    total, count, average = 0, 0, None
    while True:
        value = yield average
        if value is None:
            return average
        total, count = total + value, count + 1
        average = total / count


def collect(target):
    while True:
        value = yield
        target.append(value)


def run(values):
    machine = averager()
    next(machine)
    for value in values:
        machine.send(value)
    try:
        machine.send(None)
    except StopIteration as stop:
        return stop.value


def spread(values):
    result = []
    sink = collect(result)
    sink.send(None)
    for value in values:
        sink.send(value)
    return result


print(run([1, 2, 3, 4]), spread("abc"))
