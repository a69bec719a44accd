"""Reading YAML files of users."""

from pathlib import Path
from typing import Any

import yaml

from kf_imitation.errors import ConfigError


def read_yaml(path: Path) -> Any:
    """Return the document of a YAML file.

    Raises:
        ConfigError: it cannot be read, or is not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise ConfigError(str(path), [f'cannot be read: {error.strerror}']) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [f'is not YAML: {error}']) from error
