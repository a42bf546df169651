"""The demo company: a business whose data is made by SQL, the same on every machine."""
