"""demo"""
def work() -> None:
    """x"""
