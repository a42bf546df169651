"""Where the files of a source are: folders of the server, web servers, S3-compatible stores."""
