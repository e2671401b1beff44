"""Texts as the configuration quotes them."""


def toml(text):
    """A string; what would be a reference stands for itself."""
    return toml_key(text).replace("${", "$${")


def toml_key(text):
    """A key, in which there are no references."""
    out = "".join("\\u%04x" % ord(c) if ord(c) < 32 or c in '"\\\x7f' else c for c in text)
    return '"%s"' % out


def keyword(text):
    """A value of a connection string."""
    return "'%s'" % text.replace("\\", "\\\\").replace("'", "\\'")
