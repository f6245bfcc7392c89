"""The models at work: one module an engine, behind the protocols of ``protocols.py``."""
