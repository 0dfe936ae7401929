"""Policies on a network: gradient, last-layer and dropout exploration, and the policy-gradient router."""
