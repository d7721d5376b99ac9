"""Property tests draw the same examples everywhere and are not timed: the machine may be busy."""

import hypothesis

hypothesis.settings.register_profile("oracle", deadline=None, derandomize=True)
hypothesis.settings.load_profile("oracle")
