"""What a source may reach, decided in one place: paths of the server and hosts in the network."""
