"""Classes: init, inheritance, super, properties, slots, class and static methods, __call__."""


class Base:
    __slots__ = ("x",)

    def __init__(self, x):
        self.x = x

    def area(self):
        return self.x


class Square(Base):
    def __new__(cls, *args):
        return super().__new__(cls)

    def __init__(self, x):
        super().__init__(x)
        self.seen = []

    def area(self):
        return super().area() * self.x

    @property
    def side(self):
        return self.x

    @side.setter
    def side(self, value):
        self.check(value)
        self.x = value

    @staticmethod
    def check(value):
        assert value > 0

    @classmethod
    def unit(cls):
        return cls(1)

    def __call__(self, *args):
        return self.area(), args


square = Square.unit()
square.side = 4
print(square.side, square.area(), square(1, 2), Base(3).area(), callable(square))
