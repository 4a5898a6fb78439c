"""`python -m easel_client`: the `easel` command where no script was installed."""

from easel_client.cli import main

if __name__ == "__main__":
    main()
