"""When orders arrive: follows the drivers of active orders, and says what is left of their way."""
