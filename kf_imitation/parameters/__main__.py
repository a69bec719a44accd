"""Write the parameter file and its reference page anew from the definitions."""

from kf_imitation.parameters.documents import (
    PARAMETER_PAGE,
    parameter_file,
    parameter_page,
)
from kf_imitation.parameters.schema import PARAMETER_FILE
from kf_imitation.paths import share_path

for name, text in ((PARAMETER_FILE, parameter_file()), (PARAMETER_PAGE, parameter_page())):
    share_path(name).write_text(text, encoding='utf-8')
    print(f'written: {name}')
