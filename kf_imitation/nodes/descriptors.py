"""Parameters of the schema in the words of ROS."""

from typing import cast

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    ParameterType,
)

from kf_imitation.parameters.definition import Parameter, Value

_INT_LIMIT = 2**63 - 1
_TYPES = {
    bool: ParameterType.PARAMETER_BOOL,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    str: ParameterType.PARAMETER_STRING,
    list: ParameterType.PARAMETER_STRING_ARRAY,
}


def typed(parameter: Parameter, value: object) -> Value:
    """Return a checked value with the schema's type: whole numbers pass for floats."""
    if type(parameter.default) is float and type(value) is int:
        return float(value)
    return cast(Value, value)


def descriptor(parameter: Parameter) -> ParameterDescriptor:
    """Return what `ros2 param describe` tells of a parameter."""
    rules = [parameter.rule()] if isinstance(parameter.default, (int, float)) else []
    if isinstance(parameter.default, bool):
        rules = ['true or false']
    rules += [f'one of: {", ".join(map(repr, parameter.one_of))}'] if parameter.one_of else []
    rules += [] if parameter.live else ['read at start only']
    # Dynamic typing lets 60 pass for 60.0; the schema's own check keeps the type.
    result = ParameterDescriptor(
        name=parameter.name,
        type=_TYPES[type(parameter.default)],
        description=parameter.description,
        additional_constraints='; '.join(rules),
        dynamic_typing=type(parameter.default) is float,
    )
    low, high = parameter.minimum, parameter.maximum
    if low is not None or high is not None:
        if type(parameter.default) is float:
            low, high = (
                # A whole number would go over the wire as another one.
                -float('inf') if low is None else float(low),
                float('inf') if high is None else float(high),
            )
            result.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        else:
            result.integer_range = [
                IntegerRange(
                    from_value=-_INT_LIMIT if low is None else int(low),
                    to_value=_INT_LIMIT if high is None else int(high),
                )
            ]
    return result
