"""`python -m errclust_pipeline.cli`."""

from errclust_pipeline.cli.app import main

if __name__ == "__main__":
    main()
