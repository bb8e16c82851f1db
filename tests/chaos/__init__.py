"""The kill test: a real bot that is killed again and again, and what must hold nevertheless.

python -m tests.chaos --n 500 --seed 1 --database both
"""
