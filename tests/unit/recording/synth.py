"""Writes segments from the format's description alone, with struct: an independent witness."""

import struct
from pathlib import Path

MAGIC = 0x0A1A45434152544F
PAGE = 4096
META = 1 << 16
CHUNK_HEADER = 80
HEADER = struct.Struct("<QIIIIIIIIQQQIIQII3Q3QII8Q")
CHUNK = struct.Struct("<IIQQ3QIIQQQ")

BEGIN, END, C_BEGIN, C_END, RESUME, YIELD = range(1, 7)
TIME, ID, EXC, ACT, TASK, HIGH = range(1, 7)
TICK, SYNC, OPEN, PAUSE, EVENT_BEGIN, EVENT_END, INSTANT, COUNTER = range(8, 16)
TASK_INFO = 20
CREATED, STARTED, CANCELLED, ASYNCIO, TRIO = 1, 2, 4, 16, 32
MONOTONIC, TSC = 1, 2
PYTHON, C, TEXT, ASYNC = 1, 2, 3, 0x101
WALL = 1_700_000_000_000_000_000
START = 1_000_000


class Thread:
    def __init__(self, segment, number):
        self.segment = segment
        self.number = number
        self.tick = segment.start
        self.sequence = 0
        self.words = []
        self.open = []  # (id, kind, tick, name)
        self.chunk = None

    def begin(self, name, at, kind=BEGIN, exc=None, act=0, task=0):
        self._short(kind, name, at, exc, act, task)
        self.open.append((name, kind, self.tick, 0))

    def end(self, name, at, kind=END, exc=None):
        self._short(kind, name, at, exc)
        if self.open and self.open[-1][0] == name:
            self.open.pop()

    def call(self, name, start, end, kind=BEGIN):
        self.begin(name, start, kind)
        self.end(name, end, kind + 1)

    def _short(self, kind, name, at, exc, act=0, task=0):
        tick = self.segment.tick(at)
        self._room(9)
        delta = tick - self.tick
        if delta >> 16:
            self.words.append(7 << 29 | TIME << 24 | delta >> 16)
        if name >> 13:
            self.words.append(7 << 29 | ID << 24 | name >> 13)
        if exc is not None:
            self.words.append(7 << 29 | EXC << 24 | exc)
        if act:
            self.words.append(7 << 29 | ACT << 24 | act & 0xFFFFFF)
        if task:
            self.words.append(7 << 29 | TASK << 24 | task & 0xFFFFFF)
        if act >> 24 or task >> 24:
            self.words.append(7 << 29 | HIGH << 24 | act >> 24 | task >> 24 << 8)
        self.words.append(kind << 29 | (name & 0x1FFF) << 16 | delta & 0xFFFF)
        self.tick = tick

    def record(self, sub, at, *payload, flags=0):
        tick = self.segment.tick(at)
        self._room(3 + len(payload))
        self._record(sub, tick, payload, flags)
        if sub == EVENT_BEGIN:
            self.open.append((payload[0], 0xF, tick, payload[1]))
        if sub == EVENT_END:
            self.open = [entry for entry in self.open if entry[1] != 0xF or entry[0] != payload[0]]

    def _record(self, sub, tick, payload, flags=0):
        total = 3 + len(payload)
        self.words += [7 << 29 | sub << 24 | flags << 16 | total, tick & 0xFFFFFFFF, tick >> 32]
        self.words += payload
        self.tick = tick

    def _room(self, words):
        if self.chunk is None or (len(self.words) + words) * 4 > self.segment.room:
            self.new_chunk()

    def new_chunk(self):
        self.close()
        self.sequence += 1
        self.segment.sequence += 1
        self.chunk = (self.segment.sequence, self.sequence, self.tick)
        self.words = []
        self._record(SYNC, self.tick, (len(self.open),))
        for name, kind, tick, text in self.open:
            total = 5 if kind == 0xF else 4
            self.words += [7 << 29 | OPEN << 24 | kind << 16 | total, name]
            self.words += [tick & 0xFFFFFFFF, tick >> 32] + [text] * (total - 4)

    def close(self, state=2):
        if self.chunk is None:
            return
        sequence, thread_sequence, tick = self.chunk
        mono = self.segment.mono(tick)
        header = CHUNK.pack(
            state, self.number, sequence, thread_sequence, tick, mono, WALL + mono, 0, 0, 0, 0, 0
        )
        data = header + struct.pack(f"<{len(self.words)}I", *self.words)
        self.segment.chunks[sequence] = data.ljust(self.segment.chunk_size, b"\0")
        self.chunk = None


class Segment:
    """`at` is nanoseconds after the segment's start; ticks_per_ns makes a counter of it."""

    def __init__(self, pid=100, chunk_size=4096, clock=MONOTONIC, rate=1, start_ns=START):
        self.pid, self.clock, self.chunk_size, self.rate = pid, clock, chunk_size, rate
        self.start_ns, self.parent_pid = start_ns, 1
        self.start = int(start_ns * rate)
        self.room = chunk_size - CHUNK_HEADER
        self.meta = b""
        self.chunks = {}
        self.sequence = 0
        self.threads = []
        self.end_ns = None
        self.min_duration = 0
        self.lost = (0, 0, 0)

    def tick(self, at):
        return int((self.start_ns + at) * self.rate)

    def mono(self, tick):
        return int(tick / self.rate)

    def add_meta(self, kind, number, *texts, sub=0, line=0, extra=b""):
        data = [
            text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
            for text in texts
        ]
        sizes = [len(text) for text in data] + [0] * (3 - len(data))
        body = extra + b"".join(data)
        size = (32 + len(body) + 7) // 8 * 8
        self.meta += struct.pack("<IHHII3II", size, kind, sub, number, line, *sizes, 0)
        self.meta += body.ljust(size - 32, b"\0")

    def name(self, number, qualified, module="", file="", line=0, kind=PYTHON):
        self.add_meta(1, number, module, qualified, file, sub=kind, line=line)

    def text(self, number, text):
        self.name(number, text, kind=TEXT)

    def thread(self, name=None, os_tid=None, lost=(0, 0, 0, 0), end=0):
        number = len(self.threads) + 1
        os_tid = self.pid + number - 1 if os_tid is None else os_tid
        calls, records, first, last = lost
        extra = struct.pack(
            "<IIQQQQQQQ",
            os_tid,
            0,
            self.start,
            self.tick(end) if end else 0,
            calls,
            records,
            self.tick(first) if calls else 0,
            self.tick(last) if calls else 0,
            0,
        )
        self.add_meta(2, number, extra=extra)
        if name is not None:
            self.add_meta(3, number, name)
        self.threads.append(Thread(self, number))
        return self.threads[-1]

    def process_name(self, name):
        self.add_meta(4, 0, name)

    def note(self, key, value):
        self.add_meta(5, 0, key, value)

    def to_bytes(self):
        for thread in self.threads:
            thread.close(state=1)
        chunks_at = PAGE + META
        count = max(self.chunks, default=0)
        end = (0, 0, 0)
        if self.end_ns is not None:
            mono = self.start_ns + self.end_ns
            end = (self.tick(self.end_ns), mono, WALL + mono)
        header = HEADER.pack(
            MAGIC,
            1,
            0,
            0x01020304,
            self.clock,
            self.pid,
            self.parent_pid,
            0x030D00F0,
            0,
            PAGE,
            META,
            chunks_at,
            self.chunk_size,
            count + 2,
            self.min_duration,
            0,
            0,
            self.start,
            self.start_ns,
            WALL + self.start_ns,
            *end,
            2 if self.end_ns is not None else 1,
            count,
            len(self.meta),
            count + 1,
            *self.lost,
            0,
            0,
            0,
        )
        data = (header.ljust(PAGE, b"\0") + self.meta).ljust(chunks_at, b"\0")
        empty = bytes(self.chunk_size)
        return data + b"".join(self.chunks.get(i, empty) for i in range(1, count + 1))

    def write(self, folder, number=0):
        folder = Path(folder)
        folder.mkdir(exist_ok=True)
        path = folder / f"{self.pid}-{number}.segment"
        path.write_bytes(self.to_bytes())
        return path


def value(value):
    """An attribute's value as words."""
    if value is None:
        return [0]
    if isinstance(value, bool):
        return [2 if value else 1]
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return [3 | 8 << 8, *struct.unpack("<II", struct.pack("<q", value))]
    if isinstance(value, float):
        return [4 | 8 << 8, *struct.unpack("<II", struct.pack("<d", value))]
    if isinstance(value, list):
        words = [word for item in value for word in globals()["value"](item)]
        return [8 | 4 * len(words) << 8, *words]
    kind, data = (6, str(value).encode()) if isinstance(value, int) else (5, value)
    data = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    padded = data.ljust((len(data) + 3) // 4 * 4, b"\0")
    return [kind | len(data) << 8, *struct.unpack(f"<{len(padded) // 4}I", padded)]


def attributes(**pairs):
    """`attributes(_5=1.5)`: the key is name id 5."""
    return [word for key, item in pairs.items() for word in [int(key[1:]), *value(item)]]
