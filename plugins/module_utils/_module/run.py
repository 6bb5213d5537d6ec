# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a module's work to its result: every error becomes one line and its parts.

This file must not import AnsibleModule: modules alone end themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.numa.virt.plugins.module_utils._errors import InternalError, NumaVirtError, few_lines
from ansible_collections.numa.virt.plugins.module_utils._module.connect import needs_libraries
from ansible_collections.numa.virt.plugins.module_utils._module.libraries import (
    MissingLibraryError,
    package_hint,
    require_libraries,
)


def run(work: Callable[[], dict[str, Any]], uri: str | None = None, alone: bool = False) -> dict[str, Any]:
    """Do the work where its libraries are. The result has ``error`` if and only if it failed.

    ``alone`` is for work that asks no hypervisor and needs no library.
    """
    try:
        if not alone and needs_libraries(uri):
            require_libraries()
        return _bounded(work())
    except MissingLibraryError as error:
        libraries = error.fields["libraries"]
        said = missing_required_lib(" and ".join(libraries), reason="to talk to the hypervisor")
        return {**error.as_result(), "msg": f"{said} {package_hint(libraries)}"}
    except NumaVirtError as error:
        return _bounded(error.as_result())
    # The last line of defence: a defect of this collection still has to reach its user as one line, and a traceback
    # could show a secret.
    except Exception as error:  # noqa: BLE001
        said = InternalError(error).as_result()
        return {"msg": said["msg"], "error": said["error"]}
    # Signals and sys.exit() pass, unless there is something to say of what was done before.
    except (KeyboardInterrupt, SystemExit) as ending:
        done: dict[str, Any] | None = getattr(ending, "result", None)
        if done is None:
            raise
        return _bounded(done)


def _bounded(result: dict[str, Any]) -> dict[str, Any]:
    return {**result, "warnings": few_lines(result["warnings"])} if "warnings" in result else result
