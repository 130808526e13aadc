import h5py

from keras_convbert.checkpoints.errors import CheckpointError


def hdf5_arrays(opened: h5py.File, max_objects: int) -> dict[str, h5py.Dataset]:
    """The arrays of an HDF5 file, by their paths; none of them is read.

    Args:
        opened: the file.
        max_objects: int. How many groups and arrays it may hold.

    Raises:
        CheckpointError: if it holds more, or has anything in another file, by
            links, external storage or virtual datasets.
    """
    arrays: dict[str, h5py.Dataset] = {}
    seen = 0
    rest: list[tuple[str, h5py.Group]] = [("", opened)]
    while rest:
        path, group = rest.pop()
        for name in group:
            seen += 1
            # A group that holds itself has no end.
            if seen > max_objects:
                raise CheckpointError("it holds more than the model does.")
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise CheckpointError(
                    f"{path + name!r} is a link ({type(link).__name__}), and "
                    "leads elsewhere."
                )
            item = group[name]
            if isinstance(item, h5py.Group):
                rest.append((f"{path}{name}/", item))
            elif not isinstance(item, h5py.Dataset):
                raise CheckpointError(f"{path + name!r} is no array.")
            elif item.external or item.is_virtual:
                raise CheckpointError(
                    f"{path + name!r} is stored elsewhere, in another file."
                )
            else:
                arrays[path + name] = item
    return arrays
