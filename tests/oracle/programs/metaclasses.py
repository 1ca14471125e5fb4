"""Metaclasses, __init_subclass__, __set_name__, __class_getitem__ and class-level hooks."""


class Field:
    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner):
        return self if instance is None else instance.__dict__.get(self.name)

    def __set__(self, instance, value):
        instance.__dict__[self.name] = value


class Meta(type):
    @classmethod
    def __prepare__(mcs, name, bases, **kwargs):
        return {}

    def __new__(mcs, name, bases, namespace, **kwargs):
        return super().__new__(mcs, name, bases, namespace)

    def __init__(cls, name, bases, namespace, **kwargs):
        super().__init__(name, bases, namespace)

    def __call__(cls, *args):
        return super().__call__(*args)


class Model(metaclass=Meta):
    field = Field()

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__()

    def __class_getitem__(cls, item):
        return (cls.__name__, item)


class User(Model, table="users"):
    name = Field()


user = User()
user.name, user.field = "n", 2
print(user.name, user.field, User[int], type("Dynamic", (), {"x": 1})().x)
