import h5py

from keras_convbert.checkpoints.errors import CheckpointError


def hdf5_arrays(opened: h5py.File, max_objects: int) -> dict[str, h5py.Dataset]:
    """Returns the arrays of an HDF5 file by path, without reading them.

    Args:
        opened: the file.
        max_objects: int. Maximum number of groups and arrays.

    Raises:
        CheckpointError: if there are more, or if links, external storage or
            virtual datasets lead to other files.
    """
    arrays: dict[str, h5py.Dataset] = {}
    seen = 0
    rest: list[tuple[str, h5py.Group]] = [("", opened)]
    while rest:
        path, group = rest.pop()
        for name in group:
            seen += 1
            # A group that contains itself would never end.
            if seen > max_objects:
                raise CheckpointError(
                    f"it holds more than the model does: over {max_objects} "
                    "groups and arrays."
                )
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise CheckpointError(
                    f"{path + name!r} is a link ({type(link).__name__}) to "
                    "another object."
                )
            item = group[name]
            if isinstance(item, h5py.Group):
                rest.append((f"{path}{name}/", item))
            elif not isinstance(item, h5py.Dataset):
                raise CheckpointError(f"{path + name!r} is not an array.")
            elif item.external or item.is_virtual:
                raise CheckpointError(
                    f"{path + name!r} is stored elsewhere, in another file."
                )
            else:
                arrays[path + name] = item
    return arrays
