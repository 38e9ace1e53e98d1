"""XML of containers: parsed without entities, networks or external files.

What always holds: no entity is expanded and none is fetched, so what is parsed is never larger than
what was read.
"""

from lxml import etree

from rostra.ingest.errors import CorruptFile


def xml_root(data: bytes, what: str) -> etree._Element:
    """The root element of an XML part.

    Args:
        data: the part.
        what: its name for people.

    Raises:
        CorruptFile: if it is not well-formed, or declares entities.
    """
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise CorruptFile(f"{what} is damaged: {error}") from None
    internal = root.getroottree().docinfo.internalDTD
    if internal is not None and next(iter(internal.iterentities()), None) is not None:
        raise CorruptFile(f"{what} declares entities, which no such file needs")
    return root


def local_name(element: etree._Element) -> str:
    """An element's name without its namespace; empty for what is no element."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
