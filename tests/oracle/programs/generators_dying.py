"""Generators that die while suspended, by del, by break and by the cycle collector."""

import gc

gc.disable()
log = []


def watched(name):
    try:
        yield name
        yield name
    finally:
        note(name)


def note(name):
    log.append(name)


def take_one(name):
    for value in watched(name):
        return value


def in_a_cycle():
    generator = watched("cycle")
    holder = [generator]
    holder.append(holder)
    next(generator)


dying = watched("del")
next(dying)
del dying
take_one("break")
in_a_cycle()
gc.collect()
print(log)
