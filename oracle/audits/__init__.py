"""Every operation asked of every framework, and one question asked of all."""
