"""The command line of the service: a month exported, verified without any server, all ledgers posted anew."""
