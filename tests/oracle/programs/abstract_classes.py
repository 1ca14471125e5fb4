"""abc: abstract methods, register, __subclasshook__, __instancecheck__, Protocols of old."""

import abc


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self):
        """Made by subclasses."""

    @classmethod
    def __subclasshook__(cls, other):
        return True if "shape_like" in vars(other) else NotImplemented


class Square(Shape):
    def area(self):
        return 4


class Like:
    shape_like = True


class Other:
    pass


class Always(type):
    def __instancecheck__(cls, instance):
        return True

    def __subclasscheck__(cls, subclass):
        return subclass is not int


class Anything(metaclass=Always):
    pass


Shape.register(Other)
print(isinstance(Square(), Shape), isinstance(Like(), Shape), issubclass(Other, Shape))
print(isinstance(3, Anything), issubclass(int, Anything), isinstance(3, (str, Shape)))
try:
    Shape()
except TypeError:
    print(Square().area())
