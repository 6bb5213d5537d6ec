# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The key of an image: the same for the same recipe, another when anything in it changes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numalab.recipes
import pytest
from numalab.images import cache_folder, image_of, is_built, locked, outdated, remove_image
from numalab.recipes import DEBIAN_12, DEBIAN_13, SYSTEMS, Recipe, System, kvm_recipe, xen_recipe

KVM = kvm_recipe(DEBIAN_12)
XEN = xen_recipe(DEBIAN_12)


@pytest.fixture(name="recipe")
def _recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """Return a recipe whose files, guests and builders are copies that a test may change, as it may XEN's."""
    for name in ("IMAGES", "GUESTS", "PROGRAMS"):
        shutil.copytree(getattr(numalab.recipes, name), tmp_path / name)
        monkeypatch.setattr(numalab.recipes, name, tmp_path / name)
    for name in ("BUILDERS", "HYPERVISOR_BUILDERS"):
        builder = tmp_path / f"{name}.py"
        builder.write_text("first\n")
        monkeypatch.setattr(numalab.recipes, name, (builder,))
    return KVM


def test_the_key_is_stable(recipe: Recipe) -> None:
    assert recipe.key() == recipe.key()
    assert len(recipe.key()) == 16


@pytest.mark.parametrize(
    "change",
    [
        {"packages": (*KVM.packages, "nano")},
        {"suite": "trixie"},
        {"modules": KVM.modules[:-1]},
        {"masked_units": ()},
        {"size_mib": KVM.size_mib + 1},
        {"hypervisor": "xen.gz"},
    ],
)
def test_each_field_is_part_of_the_key(recipe: Recipe, change: dict[str, object]) -> None:
    assert replace(recipe, **change).key() != recipe.key()  # type: ignore[arg-type]


@pytest.mark.parametrize(("tree", "file"), [(0, "etc/hosts"), (1, "etc/libvirt/qemu.conf")])
def test_the_text_of_a_file_is_part_of_the_key(recipe: Recipe, tree: int, file: str) -> None:
    before = recipe.key()
    with (recipe.trees[tree] / file).open("a") as stream:
        stream.write("# more\n")
    assert recipe.key() != before


@pytest.mark.parametrize("tree", [0, 1])
def test_the_name_of_a_file_is_part_of_the_key(recipe: Recipe, tree: int) -> None:
    before = recipe.key()
    file = next(path for path in recipe.trees[tree].rglob("*") if path.is_file())
    file.rename(file.with_suffix(".old"))
    assert recipe.key() != before


def test_files_of_one_recipe_are_no_part_of_the_others_key(recipe: Recipe) -> None:
    before = recipe.key()
    (XEN.trees[1] / "more").write_text("")
    numalab.recipes.HYPERVISOR_BUILDERS[0].write_text("second\n")
    assert recipe.key() == before


def test_guests_and_what_builds_a_hypervisor_are_part_of_its_key(recipe: Recipe) -> None:
    keys = {XEN.key()}
    (numalab.recipes.GUESTS / "more.S").write_text("")
    keys.add(XEN.key())
    numalab.recipes.HYPERVISOR_BUILDERS[0].write_text("second\n")
    keys.add(XEN.key())
    assert len(keys) == 3
    assert recipe.key() not in keys


@pytest.mark.parametrize("name", ["GUESTS", "PROGRAMS"])
def test_guests_and_programs_are_part_of_the_key(recipe: Recipe, name: str) -> None:
    before = recipe.key()
    (getattr(numalab.recipes, name) / "more.S").write_text("")
    assert recipe.key() != before


def test_each_system_has_an_image_of_its_own_for_each_recipe(recipe: Recipe) -> None:
    keys = {make(system).key() for make in (kvm_recipe, xen_recipe) for system in SYSTEMS}
    assert len(keys) == 2 * len(SYSTEMS)
    assert recipe.key() in keys


def test_recipes_of_two_systems_differ_in_what_the_system_names_alone() -> None:
    assert replace(kvm_recipe(DEBIAN_13), suite=KVM.suite) == KVM
    renamed = [package.replace("4.20", "4.17") for package in xen_recipe(DEBIAN_13).packages]
    assert tuple(renamed) == XEN.packages
    assert xen_recipe(DEBIAN_13).hypervisor == "xen-4.20-amd64.gz"


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_daemons_of_xen_are_looked_for_where_each_system_has_them(system: System) -> None:
    unit = (XEN.trees[1] / "etc/systemd/system/xen.service").read_text()
    path = next(line for line in unit.splitlines() if line.startswith("ExecSearchPath="))
    assert f"/usr/lib/xen-{system.xen}/bin" in path.partition("=")[2].split(":")


def test_the_building_code_is_part_of_the_key(recipe: Recipe) -> None:
    before = recipe.key()
    numalab.recipes.BUILDERS[0].write_text("second\n")
    assert recipe.key() != before


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"NUMA_VIRT_LAB_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/numa-virt-lab"),
        ({}, str(Path.home() / ".cache/numa-virt-lab")),
    ],
)
def test_the_cache_is_where_the_environment_says(environment: dict[str, str], folder: str) -> None:
    assert str(cache_folder(environment)) == folder


def test_only_images_of_other_recipes_are_outdated(tmp_path: Path) -> None:
    image = image_of(KVM, tmp_path)
    assert not is_built(image)
    for name in (image.directory.name, "kvm-0000000000000000", ".building-kvm-1111111111111111-x"):
        (tmp_path / name).mkdir()
    (tmp_path / "kvm-0000000000000000.lock").touch()
    assert is_built(image)
    old = tmp_path / "kvm-0000000000000000"
    assert outdated([KVM], tmp_path) == [old]
    remove_image(old)
    assert outdated([KVM], tmp_path) == []
    assert not (tmp_path / "kvm-0000000000000000.lock").exists()


def test_a_cache_that_is_not_there_holds_nothing_outdated(tmp_path: Path) -> None:
    assert outdated([KVM], tmp_path / "none") == []


def test_a_lock_can_be_taken_again_once_it_is_let_go(tmp_path: Path) -> None:
    said: list[str] = []
    for _attempt in range(2):
        with locked(tmp_path / "new" / "a.lock", said.append):
            pass
    assert said == []
