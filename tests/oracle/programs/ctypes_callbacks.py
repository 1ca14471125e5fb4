"""ctypes: C functions called through pointers, and Python called back from libc's qsort."""

import ctypes

libc = ctypes.CDLL(None)
COMPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))


def compare(a, b):
    return a[0] - b[0]


callback = COMPARE(compare)
values = (ctypes.c_int * 5)(5, 1, 4, 2, 3)
libc.qsort(values, len(values), ctypes.sizeof(ctypes.c_int), callback)
print(list(values), libc.abs(-3), libc.strlen(b"four"))
