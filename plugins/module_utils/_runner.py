# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a module's work to its result: every error becomes one line and its parts.

This file must not import AnsibleModule: modules alone end themselves.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.numa.virt.plugins.module_utils._connect import needs_libraries
from ansible_collections.numa.virt.plugins.module_utils._deps import (
    MissingLibraryError,
    package_hint,
    require_libraries,
)
from ansible_collections.numa.virt.plugins.module_utils._errors import NumaVirtError, few_lines


def run(work: Callable[[], dict[str, Any]], uri: str | None = None, alone: bool = False) -> dict[str, Any]:
    """Do the work where its libraries are. The result has ``error`` if and only if it failed.

    ``alone`` is for work that asks no hypervisor and needs no library.
    """
    try:
        if not alone and needs_libraries(uri):
            require_libraries()
        result = work()
        if "warnings" in result:
            result["warnings"] = few_lines(result["warnings"])
        return result
    except MissingLibraryError as error:
        libraries = error.fields["libraries"]
        said = missing_required_lib(" and ".join(libraries), reason="to talk to the hypervisor")
        return {**error.as_result(), "msg": f"{said} {package_hint(libraries)}"}
    except NumaVirtError as error:
        return error.as_result()
    # The last line of defence: a defect of this collection still has to reach its user as one line, and a traceback
    # could show a secret. Not BaseException: signals and sys.exit() pass.
    except Exception as error:  # noqa: BLE001
        frame = traceback.extract_tb(sys.exc_info()[2])[-1]
        where = f"{os.path.basename(frame.filename)}:{frame.lineno}"
        return {
            "msg": f"internal error in numa.virt ({type(error).__name__} at {where}): please report it",
            "error": {"code": "internal", "type": type(error).__name__, "where": where},
        }
