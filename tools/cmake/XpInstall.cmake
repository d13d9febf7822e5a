# Install tree and find_package(xp) for plugins outside this one.
