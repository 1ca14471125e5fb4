"""weakref callbacks, __del__, weakref.finalize and the cycle collector calling them."""

import gc
import weakref

gc.disable()
log = []


class Node:
    def __init__(self, name):
        self.name = name

    def __del__(self):
        log.append(f"del {self.name}")


def gone(reference):
    log.append("gone")


def scope():
    node = Node("scope")
    return len(node.name)


node = Node("direct")
reference = weakref.ref(node, gone)
finalizer = weakref.finalize(node, log.append, "finalized")
del node
scope()
cycle = Node("cycle")
cycle.me = cycle
watcher = weakref.ref(cycle, gone)
del cycle
gc.collect()
print(log, reference(), finalizer.alive)
