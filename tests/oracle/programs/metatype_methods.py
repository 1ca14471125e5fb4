"""Methods of metatypes called on classes, and bound C methods that are kept and called later."""

import collections
import re


class Meta(type):
    def mro(cls):
        return super().mro()

    def hello(cls):
        return cls.__name__


class Mine(list, metaclass=Meta):
    pass


class Child(Mine):
    pass


print(Mine.mro()[1], Mine.__subclasses__(), Mine.hello(), int.mro()[0], type.mro(Child)[0])
mro, subclasses, search = Child.mro, int.__subclasses__, re.compile("b+").search
print(mro()[2], len(subclasses()) > 0, search("abb").group(), Meta.mro(Child)[-1])
push, pop = collections.deque([1]).append, Child([1, 2]).pop
push(2)
print(pop(), Child.__new__(Child), object.__new__(object) is None, dict.__new__(dict))
print(list.__new__(Mine), tuple.__new__(tuple), collections.OrderedDict.__new__(dict))
print(Mine.__instancecheck__(Child()), Child.__subclasscheck__(int), type.__prepare__("x", ()))
print(dict.fromkeys("a"), Mine.__dir__(Child()) is not None)
