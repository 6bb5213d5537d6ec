# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""AnsibleModule for arguments that hold documents: nothing of one is logged, shown or repeated.

Ansible masks what an option with ``no_log`` holds wherever it stands. That is no way here: of a list it would mask
every name too, and it does not find a document of several lines in its own log, which spells it as one line. So what
is logged and returned of the arguments is made here, option by option.

This file is glue, as modules are: nothing but them may import it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.numa.virt.plugins.module_utils._module.arguments import (
    documents,
    known_spec,
    misplaced,
    shown_arguments,
    without_values,
)

# What of an argument is logged
_LONGEST = 1000


class QuietModule(AnsibleModule):  # type: ignore[misc]  # Ansible is not read by the type checker
    """See _module.arguments for ``entries`` and ``opaque``; all else is AnsibleModule's."""

    def __init__(
        self,
        argument_spec: dict[str, Any],
        entries: Mapping[str, Sequence[str]] | None = None,
        opaque: Sequence[str] = ("xml",),
        **options: Any,
    ) -> None:
        self._known = known_spec(argument_spec, entries or {}, opaque)
        self._accepted = False
        self._given: dict[str, Any] = {}
        super().__init__(argument_spec=argument_spec, **options)
        if misplaced(self._known, self._given) is not None:
            self.fail_json(msg="")
        self._accepted = True

    def _load_params(self) -> None:
        """Keep what was given: Ansible drops what it refuses, and repeats it in its message."""
        super()._load_params()
        self._given = {name: value for name, value in self.params.items() if not str(name).startswith("_ansible_")}

    def log(self, msg: str | bytes, log_args: dict[str, Any] | None = None) -> None:
        # Only the invocation has arguments: Ansible spells a document in a list as one line, which no mask finds.
        if log_args:
            log_args = {name: _short(str(value)) for name, value in self._shown().items()}
            msg = " ".join(("Invoked with", *(f"{name}={value}" for name, value in log_args.items())))
        super().log(msg, log_args)

    def exit_json(self, **result: Any) -> None:
        super().exit_json(**self._finished(result))

    def fail_json(self, msg: str, **result: Any) -> None:
        if not self._accepted:
            msg = self._refusal(msg)
        super().fail_json(msg, **self._finished(result))

    def finish(self, result: dict[str, Any]) -> None:
        """End with what _module.run.run() has returned."""
        if "error" in result:
            self.fail_json(**result)
        for warning in result.pop("warnings", ()):
            self.warn(warning)
        self.exit_json(**result)

    def _refusal(self, msg: str) -> str:
        """Ansible's own words on arguments, or ours."""
        where = misplaced(self._known, self._given)
        if where is None:
            return without_values(str(msg), self._given)
        return f"{where}: there is a document, or a part of one, where none belongs; a definition is given as xml"

    def _finished(self, result: dict[str, Any]) -> dict[str, Any]:
        # In case that one comes out whole by a way that nobody has thought of.
        self.no_log_values.update(documents(self._given))
        return {"invocation": {"module_args": self._shown()}, **result}

    def _shown(self) -> dict[str, Any]:
        # Those that were refused are shown as they came, the others with their defaults.
        return shown_arguments(self._known, self.params if self._accepted else self._given)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
