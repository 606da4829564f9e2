"""The lab's stage: installs, seals, wires hosts together, plays a scenario, captures, and writes the truth."""
