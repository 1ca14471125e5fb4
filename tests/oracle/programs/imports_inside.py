"""Modules imported inside functions: their bodies run once, under the function."""

# oracle: imports=colorsys


def convert():
    import colorsys

    return colorsys.rgb_to_hsv(0.2, 0.4, 0.4)


def missing():
    try:
        import no_such_module_for_the_oracle
    except ImportError as error:
        return error.name
    return no_such_module_for_the_oracle


def again():
    import colorsys

    return colorsys.ONE_THIRD > 0


print(convert(), missing(), again())
