"""Which branches the tests take, and why some are not taken."""
