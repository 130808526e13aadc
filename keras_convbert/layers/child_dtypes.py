import keras

from keras_convbert.layers.dtype_policies import policy_at
from keras_convbert.layers.dtype_policies import policy_of_parts
from keras_convbert.types import Config


class ChildDtypes(keras.layers.Layer):
    """Base that gives children their dtype policies, and saves them."""

    def _policy_of(self, child: str) -> keras.DTypePolicy:
        """The dtype policy of the child that is named `child`."""
        return policy_at(self.dtype_policy, f"{self.path}/{child}")

    def get_config(self) -> Config:
        policy = keras.dtype_policies.serialize(policy_of_parts(self))
        return {**super().get_config(), "dtype": policy}
