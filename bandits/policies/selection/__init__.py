"""Model selection: policies that choose among policies, with a promise on what that choice can cost."""
