"""What the connectors of databases share: columns, extracting, changes and errors."""
