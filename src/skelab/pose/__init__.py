"""Videos to skeletons: pose estimation, tracking of people, maps from landmarks to joints."""
