"""String formatting that calls back: __format__, __repr__, __str__, __index__, __bytes__."""


class Money:
    def __init__(self, amount):
        self.amount = amount

    def __format__(self, spec):
        return f"{self.amount:{spec or '.2f'}}"

    def __repr__(self):
        return f"Money({self.amount!r})"

    def __str__(self):
        return self.__format__("")

    def __index__(self):
        return int(self.amount)

    def __bytes__(self):
        return b"money"


class Inner:
    def __getitem__(self, key):
        return Money(len(key))


money = Money(3.5)
print(f"{money} {money!r} {money:.1f} {money!s}", "%s %r %d" % (money, money, money.amount))
print("{0} {0:>8.1f} {x[key]}".format(money, x=Inner()), str(money), repr([money]), bytes(money))
print(hex(money), format(money, ".3f"), "abc".center(9, "*").upper().encode(), [1, 2, 3][money:])
