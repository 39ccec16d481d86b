def parse(
    data: bytes, /
) -> (
    tuple[int, tuple[str, ...], tuple[int, ...], bytearray, bytearray, bytearray, bytearray] | None
): ...
