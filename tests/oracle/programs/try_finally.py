"""finally, else, return in finally, nested handlers, and loops left by them."""


def note(log, word):
    log.append(word)


def finish(log, fail):
    try:
        note(log, "try")
        if fail:
            raise LookupError(fail)
    except KeyError:
        note(log, "except")
    else:
        note(log, "else")
    finally:
        note(log, "finally")


def swallow(log):
    for _ in range(2):
        try:
            try:
                finish(log, True)
            finally:
                note(log, "outer")
        except LookupError:
            continue
    return log


def override():
    try:
        raise ValueError
    except ValueError:
        return None
    finally:
        note([], "leaving")


print(swallow([]))
log = []
finish(log, False)
print(log, override())
