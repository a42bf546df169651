"""Tables from files in a folder: CSV and Parquet, plain or gzip."""
