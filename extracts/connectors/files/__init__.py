"""Tables from files: CSV, JSON, Parquet and workbooks, from folders, web servers and S3."""
