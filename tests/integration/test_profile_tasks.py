"""Trees of tasks: what ran in the turns of each, whatever else the thread did."""

from __future__ import annotations

import re

import pytest
from integration.conftest import Otrace

from otrace.profile import Profile, TaskRoot
from otrace.recording import Recording

PROGRAM = """\
import asyncio, sys

def work():
    pass

async def inner():
    work()
    await asyncio.sleep(0)

async def child(turns):
    for _ in range(turns):
        await inner()

async def main():
    named = [asyncio.create_task(child(turns), name=f"job {turns}") for turns in (3, 5)]
    more = [asyncio.create_task(child(1)) for _ in range(int(sys.argv[1]))]
    await asyncio.gather(*named, *more)
    work()

work()
asyncio.run(main())
"""


def profile_of(otrace: Otrace, tasks: int) -> Profile:
    otrace.write("app.py", PROGRAM)
    otrace("run", "-q", "-o", "app.otrace", "app.py", tasks)
    return Profile.of(Recording.open(otrace.folder / "app.otrace"), tasks=True)


def calls(profile: Profile, root: int) -> dict[str, tuple[int, int]]:
    """(calls, runs) of the program's functions in a tree."""
    tree = profile.tree
    found: dict[str, tuple[int, int]] = {}
    for node, entered in tree.descend(root):
        name = profile.functions[tree.function[node]].name
        if entered and node != root and name.startswith("__main__."):
            before = found.get(name, (0, 0))
            found[name] = before[0] + tree.calls[node], before[1] + tree.runs[node]
    return found


def test_a_tree_has_what_ran_in_its_task(otrace: Otrace) -> None:
    profile = profile_of(otrace, 0)
    roots = {root.label: root for root in profile.task_roots if "__main__" in root.label}
    assert calls(profile, roots["job 3: __main__.child"].node) == {
        "__main__.child": (1, 4),
        "__main__.inner": (3, 6),
        "__main__.work": (3, 3),
    }
    assert calls(profile, roots["job 5: __main__.child"].node)["__main__.work"] == (5, 5)
    (main,) = (root for label, root in roots.items() if label.endswith("__main__.main"))
    assert calls(profile, main.node)["__main__.work"] == (1, 1)
    assert [root.tasks for root in roots.values()] == [1, 1, 1]
    (thread,) = (root for root in profile.roots if profile.tree.runs[root.node])
    assert calls(profile, thread.node)["__main__.work"] == (10, 10)
    whole = profile.tree.total_ns[thread.node]
    assert 0 < sum(profile.tree.total_ns[root.node] for root in profile.task_roots) < whole
    assert profile.total_ns == whole
    for root in profile.task_roots:
        assert_adds_up(profile, root)


def assert_adds_up(profile: Profile, root: TaskRoot) -> None:
    tree = profile.tree
    for node, entered in tree.descend(root.node):
        if entered:
            inside = sum(tree.total_ns[child] for child in tree.children(node))
            assert tree.total_ns[node] == tree.self_ns[node] + inside


def test_many_tasks_share_trees(otrace: Otrace) -> None:
    profile = profile_of(otrace, 300)
    (children,) = (root for root in profile.task_roots if root.label == "__main__.child")
    assert children.tasks == 302
    assert calls(profile, children.node)["__main__.work"] == (308, 308)


@pytest.mark.parametrize("page", ["flamegraph", "report"])
@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ((), ["job 3: __main__.child", "job 5: __main__.child"]),
        (("--exporter-option", "{page}.tasks=no"), []),
        (("--no-tasks",), []),
    ],
    ids=["tasks", "left out", "not recorded"],
)
def test_the_pages_offer_tasks(
    otrace: Otrace, page: str, words: tuple[str, ...], wanted: list[str]
) -> None:
    otrace.write("app.py", PROGRAM)
    given = [word.format(page=page) for word in words]
    otrace("run", "-q", "--export", f"{page}=app.html", *given, "app.py", "0")
    text = (otrace.folder / "app.html").read_text()
    assert re.findall(r'"name":"(job \d: __main__.child)","tasks":1', text) == wanted
    assert text.count('"tasks":0') == 1  # its thread
