"""__getattr__, __getattribute__, __setattr__, __delattr__, __dir__ and descriptors in Python."""


class Proxy:
    def __init__(self, target):
        object.__setattr__(self, "target", target)

    def __getattr__(self, name):
        return getattr(object.__getattribute__(self, "target"), name)

    def __setattr__(self, name, value):
        setattr(self.target, name, value)

    def __delattr__(self, name):
        delattr(self.target, name)

    def __dir__(self):
        return ["target"]


class Counted:
    def __getattribute__(self, name):
        if name == "missing":
            raise AttributeError(name)
        return super().__getattribute__(name)

    def real(self):
        return 1


class Target:
    value = 1


proxy = Proxy(Target())
proxy.value = 5
print(proxy.value, dir(proxy), hasattr(proxy, "nothing"), proxy.target.value)
del proxy.value
print(proxy.value, Counted().real(), getattr(Counted(), "missing", "default"))
