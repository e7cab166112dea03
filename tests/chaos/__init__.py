"""Loss testing: the services under load on real servers, killed and frozen at random, and everything counted after."""
