"""What `make sam-local` needs of Docker: a daemon, an image of Lambda's runtime, a way in to the local cloud."""
