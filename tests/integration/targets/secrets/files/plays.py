# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real plays with planted secrets: none may be in any place that Ansible writes to.

usage: plays.py URI FOLDER PYTHON-OF-ANSIBLE, where FOLDER is empty. Ends with 0 where no secret was found, and prints
what was run and where was looked.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
PLANTED = "hunter2PLANTED"
# Options that take a name, a set or a path, and one that no module has: each gets a document. All options of all
# modules, and more ways to write one, are tried by tests/unit/plugins/modules/test_quiet.py.
MISPLACED = {
    "numa_domain": ("name", "cells", "memory", "state", "document"),
    "numa_placement": ("select", "xml"),
    "numa_domain_info": ("names",),
    "numa_cell_info": ("uri",),
    "numa_release": ("name",),
    "vcpu_pin": ("pins",),
    "numa_map_page": ("hosts",),
}


def document(name: str = "planted", kind: str = "test", more: str = "") -> str:
    """A definition of several lines with secrets of several kinds."""
    return (
        f"<domain type='{kind}'>\n  <name>{name}</name>\n  <description>root pw {PLANTED}</description>\n"
        f"  <metadata><a:x xmlns:a='urn:a'><a:password>{PLANTED}</a:password></a:x></metadata>\n"
        f"  <memory unit='MiB'>16</memory>\n  <vcpu>1</vcpu>\n  <os><type>hvm</type></os>\n  <devices>\n"
        f"    <graphics type='vnc' port='-1' autoport='yes' passwd='{PLANTED}'{more}/>\n  </devices>\n</domain>\n"
    )


def tasks(uri: str, folder: str) -> list[dict[str, Any]]:
    """The whole matrix as tasks."""
    found: list[dict[str, Any]] = []

    def add(module: str, arguments: dict[str, Any], **keywords: Any) -> None:
        given = {**({"uri": uri} if module != "numa_map_page" else {}), **arguments}
        if module in ("numa_domain", "numa_placement", "numa_release", "vcpu_pin"):
            given.setdefault("backup_dir", os.path.join(folder, "backups"))
        # In variables, as in the plays of people: what is written into the play itself, Ansible shows as it stands.
        written = {option: "{{ given." + option + " }}" for option in given}
        task = {"name": f"{module} {len(found)}", f"numa.virt.{module}": written, "vars": {"given": given}}
        found.append({**task, "ignore_errors": True, **keywords})

    bad = document()
    other = bad.replace("<vcpu>1", "<vcpu>2")
    for check in (True, False):
        add("numa_domain", {"xml": bad, "cells": [1], "state": "defined"}, check_mode=check, diff=True)
        add("numa_placement", {"domains": [{"xml": other}, {"xml": document("two")}]}, check_mode=check, diff=True)
    add("vcpu_pin", {"name": "planted", "pins": {"0": "0"}, "outside_cpuset": "allow"}, diff=True)
    add("numa_domain_info", {})
    add("numa_release", {"names": ["two"]}, diff=True)
    # What is begun and not waited for leaves its file.
    add("numa_placement", {"domains": [{"xml": bad}, "planted"]}, **{"async": 60, "poll": 0, "register": "begun"})
    waiting = {"jid": "{{ begun.ansible_job_id }}"}
    until = {"until": "ended is finished", "register": "ended", "retries": 60, "delay": 1, "ignore_errors": True}
    found.append({"name": "wait", "ansible.builtin.async_status": waiting, **until})
    for xml in (bad[:-4], document(more=f" passwdValidTo='{PLANTED}'")):
        add("numa_domain", {"xml": xml})
        add("numa_placement", {"domains": [{"xml": xml}]})
    for domains in (
        [bad], bad, {"xml": bad}, [{"xlm": bad}], [{"name": bad}], [{"name": "planted", "together": bad}],
        json.dumps([{"xml": bad}]), [{"xml": bad.replace("<vcpu>1", "<vcpu>99")}],
    ):  # fmt: skip
        add("numa_placement", {"domains": domains, "policy": "dedicated"})
    for module, options in MISPLACED.items():
        for option in options:
            add(module, {option: bad})
    # A role is given the same: it checks what it is given before any module sees it.
    for given in ({"pack_domains": [{"xml": bad}]}, {"pack_domains": [bad]}, {"pack_domains": bad}):
        role = {"name": "numa.virt.pack"}
        variables = {"pack_uri": uri, **given}
        found.append({"name": f"role {len(found)}", "ansible.builtin.include_role": role, "vars": variables})
    return found


def play(uri: str, folder: str, python: str) -> dict[str, str]:
    """Run it; every place that was written to, and what is in it."""
    book = os.path.join(folder, "play.json")
    variables = {"ansible_python_interpreter": sys.executable, "ansible_async_dir": os.path.join(folder, "async")}
    # A role that fails must not end the play.
    each = [
        {"name": each["name"], "block": [each], "rescue": [{"name": "Go on", "ansible.builtin.meta": "noop"}]}
        if each["name"].startswith("role")
        else each
        for each in tasks(uri, folder)
    ]
    with open(book, "w", encoding="utf-8") as file:
        json.dump(
            [{"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": variables, "tasks": each}],
            file,
        )
    configuration = os.path.join(folder, "ansible.cfg")
    with open(configuration, "w", encoding="utf-8") as file:
        file.write("[defaults]\n")
    environment = {
        **os.environ,
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": configuration,
        "ANSIBLE_LOG_PATH": os.path.join(folder, "controller.log"),
        "ANSIBLE_INJECT_INVOCATION": "true",
        "ANSIBLE_NOCOLOR": "true",
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.tree,ansible.builtin.junit",
        "JUNIT_OUTPUT_DIR": os.path.join(folder, "junit"),
        "ANSIBLE_CALLBACK_TREE_DIR": os.path.join(folder, "tree"),
        "ANSIBLE_REMOTE_TMP": os.path.join(folder, "remote"),
    }
    log = os.path.join(folder, "syslog")
    # Not by -m ansible: it looks for programs that are installed, and ansible-test brings an Ansible that is not.
    start = "import sys; from ansible.cli.playbook import main; sys.exit(main())"
    command = [python, "-c", start, "-vvv", "-i", "localhost,", book]
    namespace = own_namespace()
    if namespace:
        command = [*namespace, sys.executable, os.path.join(HERE, "own_log.py"), log, *command]
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    texts = {"stdout": done.stdout, "stderr": done.stderr}
    if not os.path.exists(environment["ANSIBLE_LOG_PATH"]):
        sys.exit(f"Ansible did not start: {done.stderr[-500:]}")
    for top in ("async", "tree", "junit"):
        for path, _folders, files in os.walk(os.path.join(folder, top)):
            texts.update({os.path.join(path, name): _read(os.path.join(path, name)) for name in files})
    texts["controller.log"] = _read(environment["ANSIBLE_LOG_PATH"])
    if namespace:
        texts["syslog"] = _read(log)
    return texts


def own_namespace() -> list[str]:
    """The command that gives another one mounts of its own; empty where this user may not have any."""
    if shutil.which("unshare") is None:
        return []
    for command in (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]):
        tried = [*command, "sh", "-c", "mount -t tmpfs tmpfs /tmp"]
        if subprocess.run(tried, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0:
            return command
    return []


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def main(arguments: list[str]) -> int:
    """The command line."""
    uri, folder, python = arguments
    wanted = tasks(uri, folder)
    texts = play(uri, folder, python)
    faults = [
        f"{place}: {line[:300]}" for place, text in texts.items() for line in text.splitlines() if PLANTED in line
    ]
    ran = texts["stdout"].count("\nTASK [")
    if ran < len(wanted):
        faults.append(
            f"only {ran} of {len(wanted)} tasks were run: {texts['stdout'][-2000:]} {texts['stderr'][-2000:]}"
        )
    # Otherwise it would be a proof of nothing.
    shown = ("stdout", "controller.log")
    faults += [f"{place}: no invocation" for place in shown if "(not shown: " not in texts[place]]
    missing = [
        each for each in ("async", "tree", "junit") if not any(f"{os.sep}{each}{os.sep}" in path for path in texts)
    ]
    faults += [f"{each}: no file" for each in missing]
    if "syslog" in texts and texts["syslog"].count("Invoked with") < len(wanted) // 2:
        faults.append(f"syslog: {texts['syslog'].count('Invoked with')} lines")
    if '"name": "two"' not in texts["stdout"]:
        faults.append("results are not readable: no name of a domain in them")
    print("\n".join(faults))
    print(f"{ran} tasks; looked for secrets in {len(texts)} places")
    if "syslog" not in texts:
        print("SKIPPED: the node's log, since this user may have no mounts of its own (unshare --mount)")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
