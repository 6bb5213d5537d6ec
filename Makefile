# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Thin names over tests/setup (this machine), tests/testd (a private libvirt) and noxfile.py (every check).

PYTHON ?= python3
URI ?=
HOST ?= kvm
NOX = .venv/bin/nox

.PHONY: help setup demo test test-long lab-matrix check lint format types units target lab clean

help:  ## show this
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

setup:  ## make this machine ready for every check
	@$(PYTHON) tests/setup/bootstrap.py test

demo:  ## the main job in under a minute, on libvirt's test driver, or on the host URI=… names
	@$(PYTHON) tests/setup/demo.py $(if $(URI),--uri '$(URI)')

test:  ## every check that this machine can run
	@$(PYTHON) tests/setup/checks.py

test-long:  ## the same with the long form of whatever has one, and every scenario on every system: hours
	@$(PYTHON) tests/setup/checks.py --long

lab-matrix:  ## every scenario on every system, and nothing else
	@$(PYTHON) tests/setup/checks.py --matrix

check: setup  ## one or some checks: make check S='lint units'
	@$(NOX) -s $(S)

lint types units: setup  ## quick checks while writing
	@$(NOX) -s $@

format: setup  ## rewrite Python files in the project's format
	@$(NOX) -s format

target: setup  ## one integration target without ansible-test: make target T=vcpu_pin
	@$(PYTHON) tests/setup/target.py $(T)

lab:  ## build and boot a real host with several cells (HOST=kvm, smt, memonly, wide, xen; kvm13… on Debian 13), and say how to reach it
	@$(PYTHON) tests/setup/bootstrap.py lab && $(PYTHON) tests/lab/lab.py up $(HOST)

clean:  ## forget everything that checks have made here
	rm -rf .venv .nox .cache .ansible tests/output
