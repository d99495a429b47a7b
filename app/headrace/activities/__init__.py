"""Activities: users' functions as nodes. Users import what they need from `headrace` itself."""
