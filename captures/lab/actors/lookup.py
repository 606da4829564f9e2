#!/usr/bin/env python3
"""Looks names up, one after the other."""

import sys
import time

import lab

for name in sys.argv[1:]:
    try:
        print(name, *lab.resolve(name))
    except OSError as error:
        print(error)
    time.sleep(0.2)
